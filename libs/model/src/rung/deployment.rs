//! The rungs that a deployment has: configuration, the same for all its services.

use std::{ops::Deref, str::FromStr};

use super::RungProfile;
use crate::{FieldError, RungId};

/// Definitions of rungs as one text, separated by commas: `480p,yard:height=540,cap=1800000,360p`.
/// An item with `=` and without `:` belongs to the definition before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RungDefinitions(pub Vec<RungProfile>);

impl FromStr for RungDefinitions {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let mut definitions: Vec<String> = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            match definitions.last_mut() {
                Some(last) if item.contains('=') && !item.contains(':') => {
                    last.push(',');
                    last.push_str(item);
                }
                _ => definitions.push(item.to_owned()),
            }
        }
        let profiles = definitions.iter().map(|text| text.parse());
        profiles.collect::<Result<_, _>>().map(Self)
    }
}

/// The rungs of a deployment, each id once, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rungs(Vec<RungProfile>);

impl Rungs {
    /// What a deployment has that configures nothing, as `--rungs` takes it.
    pub const DEFAULT: &'static str = "source-h264,480p,360p,240p";

    /// The greatest number of rungs in a deployment.
    pub const MOST: usize = 16;

    /// A deployment with these rungs.
    ///
    /// # Errors
    /// An id comes twice, or there are more than [`Self::MOST`].
    pub fn new(profiles: Vec<RungProfile>) -> Result<Self, FieldError> {
        if profiles.len() > Self::MOST {
            let most = format!("up to {} rungs", Self::MOST);
            return Err(FieldError::new("rungs", profiles.len(), most));
        }
        for (i, profile) in profiles.iter().enumerate() {
            if profiles[..i].iter().any(|before| before.id == profile.id) {
                return Err(FieldError::new("rungs", &profile.id, "each id once"));
            }
        }
        profiles
            .into_iter()
            .map(RungProfile::validate)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A deployment without rungs: the source alone.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The rung that is called `id`.
    pub fn get(&self, id: &RungId) -> Option<&RungProfile> {
        self.0.iter().find(|profile| profile.id == *id)
    }

    /// The ids of all rungs.
    pub fn ids(&self) -> Vec<RungId> {
        self.0.iter().map(|profile| profile.id.clone()).collect()
    }
}

impl Deref for Rungs {
    type Target = [RungProfile];

    fn deref(&self) -> &[RungProfile] {
        &self.0
    }
}

impl Default for Rungs {
    fn default() -> Self {
        let definitions = Self::DEFAULT
            .parse()
            .unwrap_or_else(|_| RungDefinitions::default());
        Self(definitions.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_stand_in_one_list() {
        let text = "480p, yard:height=540,codec=h264,cap=1800000 ,360p,240p:crf=30";
        let RungDefinitions(rungs) = text.parse().unwrap();
        let ids: Vec<_> = rungs.iter().map(|rung| rung.id.as_str()).collect();
        assert_eq!(ids, ["480p", "yard", "360p", "240p"]);
        assert_eq!(rungs[1].cap, 1_800_000);
        assert_eq!("".parse(), Ok(RungDefinitions::default()));
        assert!("crf=3,480p".parse::<RungDefinitions>().is_err());
    }

    #[test]
    fn the_default_has_the_documented_rungs() {
        let ids = Rungs::default().ids();
        let ids: Vec<_> = ids.iter().map(RungId::as_str).collect();
        assert_eq!(ids.join(","), Rungs::DEFAULT);
    }

    #[test]
    fn an_id_comes_once() {
        let rung: RungProfile = "480p".parse().unwrap();
        let error = Rungs::new(vec![rung.clone(), rung]).unwrap_err();
        assert_eq!(
            (error.field.as_str(), error.value.as_str()),
            ("rungs", "480p")
        );
    }
}
