"""A balancer for vyked-host: instances in the caller's own zone first."""
