"""The LocalQueues, how full they are, and how much of each resource they may use."""
