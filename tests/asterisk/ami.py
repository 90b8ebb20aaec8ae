"""AMI, under the name that tests know it by."""

from testbed.ami import Ami

__all__ = ["Ami"]
