"""Schedules: what users do with them, and what keeps their CronJobs in line with them."""
