"""Apparent engagement over windows of a video: of a group; of one person for a stated purpose.

In the European Union this must not be used on people at work or in education: see
docs/engagement.md.
"""

from mien.engagement.card import EngagementCard
from mien.engagement.estimation import LEAST_PEOPLE, NOT_FOR, Engagement, engagement
from mien.engagement.model import EngagementModel

__all__ = [
    "LEAST_PEOPLE",
    "NOT_FOR",
    "Engagement",
    "EngagementCard",
    "EngagementModel",
    "engagement",
]
