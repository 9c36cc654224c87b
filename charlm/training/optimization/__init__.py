"""The parts of an optimizer step: objective, optimizer, schedule, averages of the weights."""
