//! Outputs in memory and on the disk read the same.

use super::*;
use proptest::prelude::*;

fn builder(spool: &Arc<Spool>, bytes: &[u8], piece: usize) -> Output {
    let mut builder = OutputBuilder::new(spool);
    bytes.chunks(piece).for_each(|piece| builder.push(piece));
    builder.finish()
}

fn read(output: &Output) -> Vec<u8> {
    let mut bytes = Vec::new();
    output.copy_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn much_is_on_the_disk_and_the_same() {
    let spool = Arc::new(Spool::default());
    let bytes: Vec<u8> = (0..3_500_000_u32).flat_map(u32::to_le_bytes).collect();
    // Two hosts at once, so that their parts lie between each other's.
    let (mut one, mut two) = (OutputBuilder::new(&spool), OutputBuilder::new(&spool));
    for piece in bytes.chunks(60_000) {
        one.push(piece);
        two.push(piece);
    }
    let (one, two) = (one.finish(), two.finish());
    assert!(one.in_memory().is_none() && one.cut().is_none());
    assert_eq!(one.len(), bytes.len() as u64);
    assert!(read(&one) == bytes);
    assert!(one == two && one == Output::from(bytes.clone()));
    let mut other = bytes.clone();
    other[2_000_000] ^= 1;
    assert!(one != Output::from(other));
    assert_eq!(*one.first(5).unwrap(), bytes[..5]);
    assert_eq!(*one.last(5).unwrap(), bytes[bytes.len() - 5..]);
    assert!(one.whole(1000).is_err());
    assert!(*one.whole(usize::MAX).unwrap() == bytes);
}

#[test]
fn many_little_outputs_go_to_the_disk_too() {
    let spool = Arc::new(Spool::default());
    let bytes = vec![b'x'; 900_000];
    let outputs: Vec<Output> = (0..200).map(|_| builder(&spool, &bytes, 30_000)).collect();
    let held: usize = outputs.iter().filter_map(Output::in_memory).map(<[u8]>::len).sum();
    assert!(held < 18 * 1024 * 1024, "{held} bytes are held");
    assert!(outputs.iter().all(|output| *output == outputs[0]));
    drop(outputs);
    assert!(!spool.is_scarce());
}

#[test]
fn what_cannot_be_written_is_said() {
    let full = Spool::default();
    full.refuse("no space left");
    let output = builder(&Arc::new(full), &vec![b'x'; 5_000_000], 100_000);
    assert_eq!(output.len(), 1_000_000);
    assert_eq!(output.cut().unwrap(), "cut after 1000000 bytes, 4000000 more were lost: no space left");
    assert!(output.whole(usize::MAX).is_err());
    let all = builder(&output.0.as_ref().unwrap().spool.clone().unwrap(), &vec![b'x'; 1_000_000], 100_000);
    assert_eq!((all.len(), all.cut()), (1_000_000, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lines_are_those_of_the_text(text in "[ab\n]{0,40}", count in 0..6_usize) {
        let output = Output::from(text.as_str());
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        prop_assert_eq!(output.lines().unwrap(), lines.len() as u64);
        let want = lines[lines.len().saturating_sub(count)..].concat();
        prop_assert_eq!(read(&output.last_lines(count).unwrap()), want.into_bytes());
    }
}
