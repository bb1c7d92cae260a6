"""Explanations: what in the input drives the prediction, from the activations of one forward pass."""

from vbp.explain.registry import METHODS, Method, Parameter, explain
from vbp.explain.target import Target, parse_target

__all__ = ["METHODS", "Method", "Parameter", "Target", "explain", "parse_target"]
