//! From tokens to addresses.
//!
//! Addresses are found from right to left, because the left part of a list (`phrase <address>`, `group: a, b;`)
//! only makes sense when its right part is known. Missing commas are put in on the way.

use super::{AddressTokens, Token, scan::TOKENS_USUAL, scan_limit};

/// Parses an address list in external form.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Token<'_>> {
    parse_limit(text, usize::MAX)
}

/// Parses an address list, at most `token_count_max` tokens of it (`header_address_token_limit`).
#[must_use]
pub fn parse_limit(text: &[u8], token_count_max: usize) -> Vec<Token<'_>> {
    let left = scan_limit(text, token_count_max);
    let middle = Vec::with_capacity(left.len().min(TOKENS_USUAL));
    let mut parser = Parser { left, middle, right: Vec::new() };
    parser.run();
    parser.right.reverse();
    parser.right
}

/// `left` is still to be read, from its end; `middle` has the tokens after it up to the last boundary, and
/// `right` is finished. Both are in reverse order.
struct Parser<'a> {
    left: Vec<Token<'a>>,
    middle: Vec<Token<'a>>,
    right: Vec<Token<'a>>,
}

/// What may come next.
#[derive(Clone, Copy)]
struct Expect {
    /// A word continues the address to its right.
    word: bool,
    /// We are inside `group: ... ;`.
    group: bool,
}

impl<'a> Parser<'a> {
    fn run(&mut self) {
        let mut expect = Expect { word: true, group: false };
        while let Some(token) = self.left.pop() {
            match token {
                // Comments stand beside the address, not in it.
                Token::Comment(_) => self.right.push(token),
                Token::Op(b';') => {
                    self.close(true);
                    self.right.push(token);
                    expect = Expect { word: true, group: true };
                }
                Token::Op(b':') if expect.group => {
                    self.close(false);
                    self.right.push(Token::StartGroup);
                    self.skip_until(|token| token.is_op(b','));
                }
                Token::Op(b'>') => {
                    self.close(true);
                    self.right.push(token);
                    self.route_address();
                    self.skip_until(|token| matches!(token, Token::Op(b'>' | b';' | b',' | b':')));
                    expect.word = true;
                }
                Token::Atom(_) | Token::Quoted(_) | Token::Literal(_) => {
                    if !expect.word {
                        self.close(true);
                    }
                    expect.word = false;
                    self.middle.push(token);
                }
                Token::Op(b',') => {
                    self.close(false);
                    self.right.push(token);
                    expect.word = true;
                }
                other => {
                    expect.word = true;
                    self.middle.push(other);
                }
            }
        }
        self.close(false);
    }

    /// Makes an address of what was collected; a comma that is missing before it is put in.
    fn close(&mut self, is_comma_missing: bool) {
        if self.middle.is_empty() {
            return;
        }
        self.middle.reverse();
        let tokens = std::mem::take(&mut self.middle);
        self.right.push(Token::Address(AddressTokens { tokens, is_spaced: false }));
        if is_comma_missing {
            self.right.push(Token::Op(b','));
        }
    }

    /// The part between `<` and `>`: an address, its comments moved behind it.
    fn route_address(&mut self) {
        while let Some(token) = self.left.pop() {
            match token {
                Token::Comment(_) => self.right.push(token),
                Token::Op(b'<') => {
                    self.close(false);
                    self.right.push(token);
                    return;
                }
                other => self.middle.push(other),
            }
        }
        self.close(false);
    }

    /// Passes the phrase before an address, or the name of a group.
    fn skip_until(&mut self, is_end: impl Fn(&Token<'_>) -> bool) {
        while let Some(token) = self.left.pop_if(|token| !is_end(token)) {
            self.right.push(token);
        }
    }
}
