"""The robot's layout is told alike by the two packages that may not import each other. Called by pytest."""

from drivers import cobot_magic
from drivers.sim import rates
from models.config.policy import CAMERAS
from models.data import episode


def test_models_and_drivers_name_the_same_cameras_in_the_same_order() -> None:
    assert CAMERAS == cobot_magic.CAMERAS


def test_demonstrations_are_made_and_read_at_one_rate() -> None:
    assert rates.DEMONSTRATION_HZ == episode.DEMONSTRATION_HZ
