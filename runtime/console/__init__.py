"""The operator's console: a page to watch and steer a robot, and to look through its sessions."""
