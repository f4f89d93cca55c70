//! Reads the characters, escapes and counts of Go's regular expressions.

use super::error::Untranslatable;

/// The largest product of nested repetition counts that Go accepts.
pub(super) const MAX_REPEAT: u32 = 1000;

/// The rest of an expression.
pub(super) struct Input<'a>(pub(super) &'a str);

impl Input<'_> {
    pub(super) fn skip(&mut self, character: char) {
        self.0 = &self.0[character.len_utf8()..];
    }

    pub(super) fn take(&mut self) -> Result<char, Untranslatable> {
        let character = self.0.chars().next().ok_or(Untranslatable::Invalid)?;
        self.skip(character);
        Ok(character)
    }

    fn take_octal(&mut self) -> Option<u32> {
        let digit = self.0.chars().next()?.to_digit(8)?;
        self.0 = &self.0[1..];
        Some(digit)
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`. Returns `None` for anything else, which is text.
    pub(super) fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, Untranslatable> {
        let Some((inner, rest)) = self.0[1..].split_once('}') else {
            return Ok(None);
        };
        let (min, max) = match inner.split_once(',') {
            None => (count(inner), Some(count(inner))),
            Some((min, "")) => (count(min), None),
            Some((min, max)) => (count(min), Some(count(max))),
        };
        let (Some(min), Some(max)) = (min, max.map_or(Some(None), |max| max.map(Some))) else {
            return Ok(None);
        };
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
            return Err(Untranslatable::Invalid);
        }
        self.0 = rest;
        Ok(Some((min, max)))
    }

    /// Reads an escape, and returns its code point. It may be a surrogate.
    pub(super) fn escaped(&mut self) -> Result<u32, Untranslatable> {
        self.skip('\\');
        let character = self.take()?;
        Ok(match character {
            'a' => 0x07,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'v' => 0x0B,
            'x' => return self.hexadecimal(),
            '0'..='7' => {
                let first = character as u32 - '0' as u32;
                let second = self.take_octal();
                let third = second.and_then(|_| self.take_octal());
                match (second, third) {
                    // A single digit other than 0 would be a back-reference, which Go does not have.
                    (None, _) if first != 0 => return Err(Untranslatable::Invalid),
                    (None, _) => first,
                    (Some(second), None) => first * 8 + second,
                    (Some(second), Some(third)) => first * 64 + second * 8 + third,
                }
            }
            _ if character.is_ascii() && !character.is_ascii_alphanumeric() => character as u32,
            _ => return Err(Untranslatable::Invalid),
        })
    }

    fn hexadecimal(&mut self) -> Result<u32, Untranslatable> {
        let digits = match self.0.strip_prefix('{') {
            Some(braced) => {
                let (digits, rest) = braced.split_once('}').ok_or(Untranslatable::Invalid)?;
                self.0 = rest;
                digits
            }
            None => {
                let digits = self.0.get(..2).ok_or(Untranslatable::Invalid)?;
                self.0 = &self.0[2..];
                digits
            }
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Untranslatable::Invalid);
        }
        let significant = digits.trim_start_matches('0');
        // Nothing is left of a number that has only zeros.
        let value = match significant {
            "" => Ok(0),
            _ => u32::from_str_radix(significant, 16),
        };
        value.ok().filter(|&value| value <= char::MAX.into()).ok_or(Untranslatable::Invalid)
    }
}

/// Reads a decimal number without leading zeros. A number that overflows becomes the largest one.
fn count(digits: &str) -> Option<u32> {
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !decimal || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
