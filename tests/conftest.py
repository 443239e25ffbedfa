from hypothesis import HealthCheck, settings

# how long an example takes, and making it, says how busy the machine is
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
