"""How many files, sockets and pipes a process may have open: raised as far as it may be, and refused in one line where that is
too few. Called by whoever makes a run's folder.
"""

import resource

from runtime.errors import RuntimeFault
from runtime.host.remedies import LEAST_FILES


def ensure(least: int = LEAST_FILES) -> None:
    """Raise this process's own limit to `least`, which its children inherit. Raises RuntimeFault where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= least:
        return
    if hard != resource.RLIM_INFINITY and hard < least:
        raise RuntimeFault(
            f"at most {hard} files may be open at once ({least} needed); raise it with ulimit -n {least}, "
            f"or LimitNOFILE={least} in the service"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
