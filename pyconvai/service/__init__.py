"""Reaching the service: from an agent's settings to an open WebSocket, and what its end means."""
