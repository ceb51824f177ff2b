# The library parallel-ssh as its documentation shows it: PORT USER KEY FANOUT <ADDRESSES
import sys

from pssh.clients import ParallelSSHClient

port, user, key, fanout = sys.argv[1:5]
hosts = sys.stdin.read().split()
client = ParallelSSHClient(hosts, user=user, port=int(port), pkey=key, pool_size=int(fanout), allow_agent=False)
output = client.run_command("true", stop_on_errors=False)
client.join()
sys.exit(0 if len(output) == len(hosts) and all(host.exit_code == 0 for host in output) else 1)
