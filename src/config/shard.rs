//! Which of several processes this one is.

use super::{Env, Error};
use crate::cli;
use crate::model::shard::{MAX_SHARDS, Shard};

/// As told, or by the ordinal at the end of the name of a `StatefulSet`'s pod, which is its host name.
pub(super) fn read(args: &cli::ShardArgs, env: &Env<'_>) -> Result<Shard, Error> {
    let wrong = |setting, reason: String| Err(Error::Setting { setting, reason });
    let Some(count) = args.count else {
        return match args.index {
            None => Ok(Shard::default()),
            Some(_) => wrong("--shard.index", "says nothing without --shard.count".to_owned()),
        };
    };
    if !(1..=MAX_SHARDS).contains(&count) {
        return wrong("--shard.count", format!("{count} is not from 1 to {MAX_SHARDS}"));
    }
    let Some(index) = args.index.or_else(|| ordinal(&env("HOSTNAME")?)) else {
        let cure = "give --shard.index, or set HOSTNAME to the name of the pod, which ends in -0, -1, ...";
        return wrong("--shard.count", format!("leaves open which of the {count} this is; {cure}"));
    };
    match Shard::new(index, count) {
        Some(shard) => Ok(shard),
        None => {
            wrong("--shard.index", format!("{index} is not below {count}, the --shard.count; the first is 0"))
        }
    }
}

fn ordinal(host: &str) -> Option<u32> {
    host.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: Option<u32>, count: Option<u32>, host: &str) -> Result<Shard, String> {
        let env = |name: &str| (name == "HOSTNAME" && !host.is_empty()).then(|| host.to_owned());
        read(&cli::ShardArgs { index, count }, &env).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_is_told_or_read_off_the_name_of_the_pod() {
        let of = |index, count| Ok(Shard::new(index, count).expect("within bounds"));
        assert_eq!(shard(None, None, "rooms-7"), of(0, 1), "a name alone makes no shard");
        assert_eq!(shard(Some(2), Some(3), "rooms-0"), of(2, 3));
        assert_eq!(shard(None, Some(3), "teams-rooms-exporter-1"), of(1, 3));
        assert_eq!(shard(Some(0), Some(1), ""), of(0, 1));
    }

    #[test]
    fn what_makes_no_shard_says_why() {
        for (index, count, host, told) in [
            (Some(0), None, "", "--shard.index: says nothing without --shard.count"),
            (None, Some(0), "rooms-0", "--shard.count: 0 is not from 1 to 256"),
            (None, Some(257), "rooms-0", "--shard.count: 257 is not from 1 to 256"),
            (None, Some(3), "", "leaves open which of the 3 this is"),
            (None, Some(3), "rooms", "leaves open which of the 3 this is"),
            (None, Some(3), "rooms-x", "leaves open which of the 3 this is"),
            (None, Some(3), "rooms-3", "--shard.index: 3 is not below 3"),
            (Some(5), Some(3), "", "--shard.index: 5 is not below 3"),
        ] {
            let error = shard(index, count, host).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }
}
