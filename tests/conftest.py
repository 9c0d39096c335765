"""Settings for all tests."""

from hypothesis import settings

# A slow or busy machine is no fault of the code.
settings.register_profile("tombola", deadline=None)
settings.load_profile("tombola")
