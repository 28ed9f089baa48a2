"""The processes of the robot and what passes between them."""
