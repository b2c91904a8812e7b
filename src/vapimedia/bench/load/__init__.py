"""A load generator for bridges: Twilio-shaped calls and a Vapi of its own, with audio that can be checked.

Linux only. Every 20 ms of audio says whose it is (``marks``), so that what a bridge loses, doubles, damages or crosses
is counted exactly and the way of each frame is timed, also through transcoding. The loop (``generator``) is one thread
with direct system calls; the bridge is another process (``process``).
"""
