"""What goes on inside a recurrent network: gates, units, and how far it remembers."""
