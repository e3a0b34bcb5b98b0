"""Reactions: functions on events that cannot wait. See docs/reactions.md."""

from serving.reactions.effects import Call, Effect, Emit, Put
from serving.reactions.event import Event
from serving.reactions.live import Live
from serving.reactions.pattern import Pattern
from serving.reactions.registry import Reaction, reaction

__all__ = ["Call", "Effect", "Emit", "Event", "Live", "Pattern", "Put", "Reaction", "reaction"]
