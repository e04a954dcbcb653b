//! Computes for ever.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error, Info};

wharf_connector::component!(hostile::Hostile<crate::Spin>);

/// The abuse.
#[derive(Debug)]
pub struct Spin;

impl<B: Broker> Abuse<B> for Spin {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        match what {
            // Memory is taken and given back: the limit on it never strikes.
            "allocate" => loop {
                std::hint::black_box(vec![0_u8; 4096]);
            },
            // One instruction that takes long: nothing interrupts it on its way.
            "fill" => {
                let mut room = vec![0_u8; 10 << 20];
                loop {
                    room.fill(1);
                    std::hint::black_box(&mut room);
                }
            }
            _ => loop {
                std::hint::spin_loop();
            },
        }
    }

    fn put(broker: &mut B, path: &str, _source: &B::Content, _info: &Info) -> Result<Entry, Error> {
        Self::abuse(broker, path)
    }
}
