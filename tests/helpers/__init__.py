"""Builders of inputs and results that several tests share."""
