"""What people look at when a call is over, or something is wrong: its report, and the bundle."""
