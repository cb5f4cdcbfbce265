//! Decodes any video, and brings its pictures into the form that the encoder takes.

use ffmpeg_next::{
    Error, Packet, Rational,
    codec::{self, Parameters, decoder},
    format::Pixel,
    frame,
    software::scaling,
};

/// Turns packets into pictures of 4:2:0 with 8 bits and even size. Times are those of the packets.
pub(crate) struct PictureDecoder {
    decoder: decoder::Video,
    scaler: Option<(Shape, scaling::Context)>,
}

/// What a scaler has been made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    format: Pixel,
    width: u32,
    height: u32,
}

impl PictureDecoder {
    /// For packets of a stream with these parameters, whose times are in 1/90,000 s.
    pub(crate) fn new(parameters: Parameters) -> Result<Self, Error> {
        let mut context = codec::Context::from_parameters(parameters)?;
        // More would give pictures late.
        context.set_threading(codec::threading::Config::count(1));
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(Rational(1, 90_000));
        Ok(Self {
            decoder: decoder.video()?,
            scaler: None,
        })
    }

    /// Takes a packet; gives the pictures that are ready. A packet that cannot be decoded gives an
    /// error.
    pub(crate) fn push(&mut self, packet: &Packet) -> Result<Vec<frame::Video>, Error> {
        self.decoder.send_packet(packet)?;
        self.receive()
    }

    /// The pictures that are left; the next packet begins anew.
    pub(crate) fn drain(&mut self) -> Result<Vec<frame::Video>, Error> {
        self.decoder.send_eof()?;
        let pictures = self.receive();
        self.decoder.flush();
        pictures
    }

    fn receive(&mut self) -> Result<Vec<frame::Video>, Error> {
        let mut pictures = Vec::new();
        loop {
            let mut decoded = frame::Video::empty();
            match self.decoder.receive_frame(&mut decoded) {
                Ok(()) => {}
                Err(Error::Eof) => return Ok(pictures),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                    return Ok(pictures);
                }
                Err(error) => return Err(error),
            }
            let Some(time) = decoded.timestamp().or(decoded.pts()) else {
                continue;
            };
            let mut picture = self.convert(decoded)?;
            picture.set_pts(Some(time));
            // The encoder decides what each becomes.
            picture.set_kind(ffmpeg_next::util::picture::Type::None);
            pictures.push(picture);
        }
    }

    fn convert(&mut self, decoded: frame::Video) -> Result<frame::Video, Error> {
        let shape = Shape {
            format: decoded.format(),
            width: decoded.width(),
            height: decoded.height(),
        };
        let (width, height) = ((shape.width & !1).max(2), (shape.height & !1).max(2));
        if shape.format == Pixel::YUV420P && (width, height) == (shape.width, shape.height) {
            return Ok(decoded);
        }
        let scaler = match &mut self.scaler {
            Some((made_for, scaler)) if *made_for == shape => scaler,
            stale => {
                let fresh = scaling::Context::get(
                    shape.format,
                    shape.width,
                    shape.height,
                    Pixel::YUV420P,
                    width,
                    height,
                    scaling::Flags::BICUBIC,
                )?;
                &mut stale.insert((shape, fresh)).1
            }
        };
        let mut picture = frame::Video::empty();
        scaler.run(&decoded, &mut picture)?;
        Ok(picture)
    }
}
