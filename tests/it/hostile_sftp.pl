# An SFTP server that lies: names that lead elsewhere, files that end early, a tree without an end.
use strict;
use warnings;
binmode STDIN;
binmode STDOUT;

sub get {
    my ($count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        sysread(STDIN, $bytes, $count - length $bytes, length $bytes) or exit 0;
    }
    return $bytes;
}

sub put {
    my $packet = pack('N/a*', $_[0]);
    while (length $packet) {
        my $count = syswrite(STDOUT, $packet) or exit 0;
        substr($packet, 0, $count) = '';
    }
}

# Size, permissions and times.
sub attributes { return pack('NQ>NNN', 13, $_[1], $_[0], 1_000_000_000, 1_000_000_000) }

sub of {
    my ($path) = @_;
    return attributes(040755, 0) if $path =~ m{(^|/)(tree|loop)$};
    return attributes(0106777, 4) if $path =~ m{setuid$};
    return attributes(0100644, 9) if $path =~ m{short$};
    return attributes(0100644, 1 << 40) if $path =~ m{endless$};
    return attributes(0100644, 4);
}

my %seen;
while (1) {
    my $packet = get(unpack('N', get(4)));
    my ($type, $rest) = unpack('Ca*', $packet);
    if ($type == 1) { put(pack('CN', 2, 3)); next }
    my ($id, $path) = unpack('NN/a*', $rest);
    if ($type == 3 || $type == 11) {
        delete $seen{$path};
        put(pack('CNN/a*', 102, $id, $path));
    } elsif ($type == 4) {
        put(pack('CNNN/a*N/a*', 101, $id, 0, '', ''));
    } elsif ($type == 5) {
        my (undef, undef, $offset) = unpack('NN/a*Q>', $rest);
        if ($path =~ m{endless$}) { put(pack('CNN/a*', 103, $id, 'x' x 30000)) }
        elsif ($offset < 4) { put(pack('CNN/a*', 103, $id, substr($path =~ m{short$} ? 'evil' : 'evil and more', $offset))) }
        else { put(pack('CNNN/a*N/a*', 101, $id, 1, 'end', '')) }
    } elsif ($type == 7 || $type == 8 || $type == 17) {
        put(pack('CN', 105, $id) . of($path));
    } elsif ($type == 12 && !$seen{$path}++) {
        my @names = $path =~ m{loop$} ? ('loop') : (
            '.', '..', '../escaped', '../../escaped', '/tmp/gsctl-escaped', 'a/b', "esc\e[31m\nape", "not\xffutf8", 'good',
            'setuid', 'short', "good\0hidden"
        );
        put(pack('CNN', 104, $id, scalar @names) . join('', map { pack('N/a*N/a*', $_, '') . of($_) } @names));
    } elsif ($type == 12) {
        put(pack('CNNN/a*N/a*', 101, $id, 1, 'end', ''));
    } else {
        put(pack('CNNN/a*N/a*', 101, $id, 8, 'no', ''));
    }
}
