"""``charlm serve``."""

from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.shared import RunPath, device_option


@click.command("serve", cls=Command, short_help="Let other programs use runs over HTTP.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Where to listen.")
@click.option("--port", default=8000, metavar="N", help="Port to listen at; 0: a free one.")
@click.option(
    "--token", envvar="CHARLM_TOKEN", show_default=False, metavar="SECRET",
    help="What clients must send; better given as the variable CHARLM_TOKEN.",
)  # fmt: skip
@click.option("--lanes", default=64, metavar="N", help="Texts that are written at a time.")
@click.option("--waiting", default=256, metavar="N", help="Texts that may wait for that.")
@click.option("--length", default=16384, metavar="N", help="Tokens of prompt and text at most.")
@click.option("--seconds", default=300.0, metavar="X", help="Time for one request at most.")
@device_option
def command(
    runs: tuple[Path, ...], host: str, port: int, token: str | None, device: str, **limits: Any
) -> None:
    """Let other programs use runs over HTTP, as OpenAI's clients do.

    \b
    POST /v1/completions  texts that follow prompts, also as a stream
    POST /v1/score        the surprisal of a text
    GET  /                the page that writes

    Only this machine is served unless --host says otherwise, for which a token is needed.
    docs/serve.md lists all paths.  Needs the extra serve.
    """
    from charlm.cli.signals import stopping
    from charlm.console.serving import announced, show_serving
    from charlm.web.server.opening import ServeLimits, open_server

    server = open_server(
        runs, host=host, port=port, token=token, device=device, limits=ServeLimits(**limits)
    )
    with stopping() as stop:
        stop.gentle = True
        show_serving(server.url, list(server.models))
        server.run(announced(stop, server.limits.grace))
    click.get_current_context().exit(stop.code)
