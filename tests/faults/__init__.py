"""Faults on real hosts: what is done to a run, what is seen, what holds afterwards."""
