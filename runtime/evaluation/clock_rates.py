"""The rates that a scene on the virtual clock must have. Called by flags.py, before a simulator is loaded, and by world.py."""

from drivers.sim.rates import DEMONSTRATION_HZ, SIMULATOR_HZ
from runtime.config.settings import Settings
from runtime.errors import SettingsError


def check_rates(settings: Settings) -> None:
    """A scene advances as the simulator does, and its cameras see as often as those of a demonstration, else SettingsError."""
    rates = [("arms.rate_hz", settings.arms.rate_hz, SIMULATOR_HZ)]
    rates += [
        (f"cameras.{name}.rate_hz", camera.rate_hz, DEMONSTRATION_HZ)
        for name, camera in settings.cameras.by_name().items()
    ]
    for name, rate_hz, only_hz in rates:
        if rate_hz != only_hz:
            raise SettingsError(f"--{name} {rate_hz:g}: must be {only_hz} on the virtual clock; leave it out")
