"""What a job is while it is in this process: its progress, its log, the request to stop it, its end.

execution.py   one job of this process, from its acceptance to its end
progress.py    progress, track, check_cancelled, current_job: what a running function calls
log.py         the lines of one job, bounded
feeds          bars of tqdm and rich in a job are its progress
capture.py     print, logging and warnings find the job they belong to
"""
