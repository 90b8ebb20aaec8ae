"""What will not work between an agent at the service and this side, found before the first call."""
