"""Text made by sources whose entropy rate is known exactly."""
