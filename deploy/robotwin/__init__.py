"""See deploy_policy.py."""

from .deploy_policy import encode_obs, eval, get_model, reset_model  # noqa: A004

__all__ = ["encode_obs", "eval", "get_model", "reset_model"]
