"""What is kept and told of calls that are over: records, and the webhook that they are sent to."""
