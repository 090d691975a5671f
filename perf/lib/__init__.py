"""What perf/compare is made of: subjects (brokers), steps (loads), report and plots."""
