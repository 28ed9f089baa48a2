"""Numbers of settings, with upper ends that only stop slips: a value in milliseconds, degrees or millimetres, a zero too many.
Read by the modules beside it. What arms may do is narrower (safety_settings.py); a slip would pass in silence until it matters.
"""

from typing import Annotated

from pydantic import Field

Age = Annotated[float, Field(gt=0, le=30)]
"""s. Of what arrives many times a second, or each second. Chosen: the shortest that is usual, 0.05 s, is 50 in milliseconds."""
ConditionAge = Annotated[float, Field(gt=0, le=600)]
"""s. Chosen: System 2 of the full size takes minutes on a CPU; the usual 4 s are 4000 in milliseconds."""
Patience = Annotated[float, Field(gt=0, le=3600)]
"""s. How long a process may take to start or to recover. Chosen: gigabytes from a slow disk take minutes, and 10 s are 10 000
in milliseconds."""
Duration = Annotated[float, Field(gt=0, le=1e6)]
"""s. Of a run. Chosen: eleven days; its nanoseconds fit 64 bits."""
TargetDistance = Annotated[float, Field(ge=0.001, le=1)]
"""s. Between two targets of a chunk. Derived: what a chunk's message may say (runtime/messaging/messages.py)."""
Disk = Annotated[float, Field(ge=0, le=1000)]
"""GiB. Chosen: the usual 1 GiB is 1024 in MiB."""
Apart = Annotated[float, Field(gt=0, le=10)]
"""rad. Between two poses of a joint. Chosen: more than a turn; the usual 0.35 rad are 20 in degrees."""
Outside = Annotated[float, Field(gt=0, le=100)]
"""rad. Chosen: twice what bench.sh --fuzz lets pass, so that its chunks reach the limits."""
Clearance = Annotated[float, Field(gt=0, le=0.5)]
Height = Annotated[float, Field(ge=0, le=0.5)]
"""m. Chosen: the arms stand 0.5 m apart (drivers/cobot_magic.py), and 5 mm are 5 in millimetres."""
Speed = Annotated[float, Field(gt=0, le=30)]
"""rad/s or m/s. Chosen: ten times a Piper's; its 3 rad/s are 172 in degrees."""
Acceleration = Annotated[float, Field(gt=0, le=100)]
"""rad/s² or m/s². Chosen: twenty times a Piper's; its 5 rad/s² are 286 in degrees."""
Jerk = Annotated[float, Field(gt=0, le=5000)]
"""rad/s³ or m/s³. Chosen: above 2000, by which 5 rad/s² turn round within a tick of 5 ms; the usual 100 are 5730 in degrees."""
Place = Annotated[float, Field(ge=-6.3, le=6.3)]
"""rad or m. Chosen: a whole turn, rounded up; joints' ranges are -170 to 180 in degrees, the arms' places -42 to 74 in cm."""
