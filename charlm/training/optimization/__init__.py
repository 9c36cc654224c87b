"""What one optimizer step consists of: objective, optimizer, schedule, averages of the weights."""
