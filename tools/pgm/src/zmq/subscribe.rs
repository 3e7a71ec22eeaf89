// SPDX-License-Identifier: GPL-2.0

//! `pgm recv --zmq`: the messages of all publishers of a group, a line each.

use anyhow::{bail, Result};

use super::complaints::Complaints;
use super::framing::Parts;
use super::publishers::Publishers;
use super::text;
use crate::cli::{Recv, Topic};
use crate::recv::{conclude, explain, Output, BUFFER};
use crate::report::Tally;
use crate::socket::{Event, PgmSocket, Received};
use crate::units;

/// Prints messages until there were as many as wanted.
pub fn run(args: &Recv) -> Result<()> {
    let socket = PgmSocket::datagram(&args.place.get())?;
    let mut output = Output::open(args.output.as_deref())?;
    let mut tally = Tally::new(None);
    let result = print(args, &socket, &mut output, &mut tally);
    conclude(args, &socket, None, result, output, tally)
}

fn print(args: &Recv, socket: &PgmSocket, output: &mut Output, tally: &mut Tally) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut publishers = Publishers::new();
    let mut complaints = Complaints::default();
    let mut waiting = true;
    let mut lost = 0u64;
    let mut unfinished = 0u64;
    let enough = |tally: &Tally| args.count.is_some_and(|count| tally.messages() >= count);
    socket.set_timeout(args.wait)?;
    while !enough(tally) {
        let received = match socket.receive_any(&mut buffer) {
            Err(error) if waiting && error.raw_os_error() == Some(libc::EAGAIN) => {
                bail!(
                    "no publisher sent within {:?}",
                    args.wait.unwrap_or_default()
                );
            }
            received => received.map_err(|error| explain(socket, args, error))?,
        };
        let (len, tsi) = match received {
            Received::Message { len, tsi } => (len, tsi),
            Received::Event { event, tsi } => {
                match event {
                    Event::Loss(count) => {
                        complaints.say(format!(
                            "{} of {tsi} lost for good, and what was in it",
                            units::count(count.into(), "packet")
                        ));
                        lost = lost.saturating_add(count.into());
                        publishers.lost(tsi);
                    }
                    Event::Over => {
                        // Whatever ends a session, one that begins anew does not go on with this.
                        if publishers.over(tsi) {
                            complaints.say(format!(
                                "{tsi} ended in the middle of a message, which is lost"
                            ));
                            unfinished = unfinished.saturating_add(1);
                        }
                    }
                }
                continue;
            }
        };
        if waiting {
            waiting = false;
            socket.set_timeout(args.timeout)?;
        }
        let mut lines = String::new();
        let packet = buffer.get(..len).unwrap_or_default();
        let result = publishers.add(tsi, packet, |parts| {
            if is_wanted(&parts, &args.topic) && !enough(tally) {
                tally.add(&parts.concat());
                lines.push_str(&text::line(&parts));
            }
        });
        if !lines.is_empty() {
            output.write(lines.as_bytes())?;
        }
        if let Err(reason) = result {
            complaints.say(format!("{tsi} sent {reason}: it is no ZeroMQ publisher"));
        }
        while let Some((tsi, midway)) = publishers.give_way() {
            complaints.say(format!(
                "{tsi} gave way: unfinished messages take too much memory"
            ));
            unfinished = unfinished.saturating_add(midway.into());
        }
    }
    if lost > 0 {
        bail!(
            "{} lost for good (publishers need a lower rate or a longer window)",
            units::count(lost, "packet")
        );
    }
    if unfinished > 0 {
        bail!(
            "{} lost, the end never came",
            units::count(unfinished, "message")
        );
    }
    Ok(())
}

/// Does the first part begin with one of the topics? Without topics, everything is wanted.
fn is_wanted(parts: &Parts, topics: &[Topic]) -> bool {
    let first = parts.first().map_or(&[][..], Vec::as_slice);
    topics.is_empty() || topics.iter().any(|topic| first.starts_with(&topic.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_beginnings_of_the_first_part() {
        let parts = vec![b"weather.de".to_vec(), b"rain".to_vec()];
        let wanted = |topics: &[&[u8]]| {
            let topics: Vec<_> = topics.iter().map(|topic| Topic(topic.to_vec())).collect();
            is_wanted(&parts, &topics)
        };
        assert!(wanted(&[]) && wanted(&[b""]) && wanted(&[b"news", b"weather."]));
        assert!(!wanted(&[b"rain"]) && !wanted(&[b"weather.de."]));
    }
}
