//! TensorBoard event files: arbitrary bytes, and written files cut or changed somewhere: events before the damage
//! stay readable.

#![no_main]

use coact_runner::tensorboard::{EventReader, frame, scalars_payload, version_payload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut reader = EventReader::new(input);
    while reader.next().is_some() {}
    assert!(reader.position() <= input.len() as u64);
    let [n, at_low, at_high, flip, text @ ..] = input else { return };
    let tag = String::from_utf8_lossy(text);
    let (mut file, mut ends) = (Vec::new(), Vec::new());
    for i in 0..1 + u64::from(n % 5) {
        let mut payload = Vec::new();
        if i == 0 {
            version_payload(1.5, &mut payload);
        } else {
            scalars_payload(2.5, i, &[(&tag, i as f32), ("b", f32::NAN)], &mut payload);
        }
        frame(&payload, &mut file);
        ends.push(file.len());
    }
    let at = u16::from_le_bytes([*at_low, *at_high]) as usize % (file.len() + 1);
    if *flip == 0 {
        file.truncate(at);
    } else if let Some(byte) = file.get_mut(at) {
        *byte ^= flip;
    }
    let whole = ends.iter().filter(|&&end| end <= at).count();
    let mut reader = EventReader::new(&file);
    let mut events = Vec::new();
    events.extend(reader.by_ref());
    assert!(events.len() >= whole, "{} of {whole} events before byte {at}", events.len());
    for (i, event) in events.iter().enumerate().take(whole).skip(1) {
        assert_eq!((event.step, &event.scalars[0].0), (i as i64, &tag.to_string()));
    }
});
