"""The compiled core: work on every frame, and how threads without Python reach the loop."""
