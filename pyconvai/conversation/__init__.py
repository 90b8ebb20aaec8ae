"""What is said in a call: the protocol, the session that carries it out, the agent's tools."""
