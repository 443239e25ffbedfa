raise RuntimeError("this module is ill")
