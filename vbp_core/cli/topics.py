"""Options for recordings of ROS messages; nothing large is imported."""

from __future__ import annotations

import argparse


def add_topics(parser: argparse._ActionsContainer) -> None:
    """Where the steering and the speed are in a recording of ROS messages."""
    parser.add_argument(
        "--steering", metavar="TOPIC.FIELD", help="of a bag: where the angle is, e.g. /cmd_vel.angular.z"
    )
    parser.add_argument(
        "--speed",
        metavar="TOPIC.FIELD",
        help="of a bag: where the speed is, in m/s, e.g. /odom.twist.twist.linear.x",
    )
