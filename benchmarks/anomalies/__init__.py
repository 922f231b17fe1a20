"""Anomalies: found by area under ROC, and explained."""
