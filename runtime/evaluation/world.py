"""The whole robot on a virtual clock: the very step functions of system1, system2 and arms on the simulated scene, or on
somebody else's (robotwin.py).
Called by rollouts.py and by deploy/robotwin/deploy_policy.py.

How long each system takes is declared, so what comes out is a property of policy and timing and not of this machine; on one
machine and build it is the same again from the same seed. Events happen in order of time: ticks, pictures, and what was made.
"""

from collections.abc import Callable, Mapping

from drivers.cobot_magic import CAMERAS
from drivers.sim.camera_renderer import Eye
from drivers.sim.episode_recorder import EpisodeRecorder
from drivers.sim.failures import classify
from drivers.sim.fixed_start import FixedStart
from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks import shifted_task
from runtime.config.settings import Settings
from runtime.evaluation.clock_rates import check_rates
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.played_episode import Body, Outcome, PlayedEpisode, Sight
from runtime.evaluation.swap import Conditions, partner_of
from runtime.policy.opening import Policy


class World:
    """One task's scene, cameras and processes; `run` plays an episode."""

    def __init__(self, settings: Settings, policy: Policy, latencies: Latencies) -> None:
        self._settings, self._policy, self._latencies = settings, policy, latencies
        self._task = shifted_task(settings.task, settings.shift, settings.seed)
        self._physics = Physics(self._task)
        cameras = settings.cameras.by_name()
        self._eyes = {
            name: Eye(name, self._task, cameras[name].width_px, cameras[name].height_px, 0) for name in CAMERAS
        }

    def run(
        self, seed: int, text: str, film_every: int = 0, limit_s: float | None = None, swap: bool = False,
        fixed: FixedStart | None = None,
    ) -> Outcome:  # fmt: skip
        """Play one episode.

        Args:
            seed: Of the scene and of the cameras' noise.
            text: The instruction.
            film_every: Keep every so many-th picture of the head camera; 0: none.
            limit_s: Longest time from the first RUNNING; None: the task's own.
            swap: Put in System 2's conditions of the partner's scene, which is played first.
            fixed: An object whose start stays; the outcome then has the hands' paths.
        """
        limit_s = self._task.step_limit / DEMONSTRATION_HZ if limit_s is None else limit_s
        swapped = Conditions()
        if swap:
            self._play(partner_of(seed), text, 0, limit_s, made := Conditions(), fixed)
            swapped = Conditions(given=made.own)
        return self._play(seed, text, film_every, limit_s, swapped, fixed)

    def _play(
        self, seed: int, text: str, film_every: int, limit_s: float, conditions: Conditions, fixed: FixedStart | None
    ) -> Outcome:
        self._set(seed, fixed)
        for place, eye in enumerate(self._eyes.values()):
            eye.restart(seed * len(self._eyes) + place)
        recorder = EpisodeRecorder(self._physics)
        outcome = run(
            self._settings, self._policy, self._latencies, self._physics, self._eyes, text, seed, limit_s, film_every,
            conditions, recorder.note,
        )  # fmt: skip
        trace = recorder.trace()
        outcome.failure = "" if outcome.success else classify(trace)
        outcome.hands_m = None if fixed is None else trace.hands_m
        return outcome

    def _set(self, seed: int, fixed: FixedStart | None) -> None:
        """Make the scene of a seed ready; under a shift of the scene each one is another world."""
        task = shifted_task(self._settings.task, self._settings.shift, seed)
        if task.appearance != self._task.appearance:
            self._task, self._physics = task, Physics(task)
            for eye in self._eyes.values():
                eye.show(task)
        self._physics.reset(seed, fixed)

    def close(self) -> None:
        """Close the renderers of all cameras; the world cannot be used afterwards."""
        for eye in self._eyes.values():
            eye.close()


def _nothing() -> None:
    """For a scene of which nobody records anything."""


def run(
    settings: Settings, policy: Policy, latencies: Latencies, body: Body, eyes: Mapping[str, Sight], text: str, seed: int,
    limit_s: float, film_every: int = 0, conditions: Conditions | None = None, note: Callable[[], None] = _nothing,
) -> Outcome:  # fmt: skip
    """Play one episode on a scene that stands ready.

    Args:
        settings: Of the task; their rates must be the simulator's.
        policy: Both systems; what they had encoded is forgotten.
        latencies: How long things take.
        body: What the arms move.
        eyes: By camera.
        text: The instruction.
        seed: Of the episode message; the scene has been set already.
        limit_s: Longest time from the first RUNNING.
        film_every: Keep every so many-th picture of the head camera; 0: none.
        conditions: Notes what System 2 makes, and may put others in their place.
        note: Called whenever the cameras take pictures, and at the end.

    Raises:
        SettingsError: The scene does not have these rates.
    """
    check_rates(settings)
    policy.fast.clear()
    policy.slow.clear()
    noted = Conditions() if conditions is None else conditions
    return PlayedEpisode(settings, policy, latencies, body, eyes, text, seed, noted, note).play(limit_s, film_every)
