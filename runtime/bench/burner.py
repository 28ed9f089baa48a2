"""Keeps a core busy until the bench ends: what else runs on a robot's PC. Started by loop."""

from runtime.host.child_process import die_with_parent

if __name__ == "__main__":
    die_with_parent("burner")
    while True:
        pass
