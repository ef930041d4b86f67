"""What is trained, as plain data: the experiment, its tables, studies, costs, schedules and reports of a training."""
