return revoke(ARGV[6], ARGV[7])
