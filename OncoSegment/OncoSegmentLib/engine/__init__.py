"""Where a job runs: in this process or in a process of its own."""
