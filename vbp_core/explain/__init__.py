"""Explanations: what in the input drives the prediction, from the activations of one forward pass."""

from vbp_core.explain.registry import METHODS, Method, Parameter, explain

__all__ = ["METHODS", "Method", "Parameter", "explain"]
