//! Scales pictures to a rung's size, the same to the bit on every machine.

use ffmpeg_next::{Error, ffi, format::Pixel, frame, software::scaling::Flags};

/// Size and form of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    format: Pixel,
    width: u32,
    height: u32,
}

/// Scales to one size and format.
pub(super) struct Scaler {
    context: Option<(Shape, Context)>,
    target: Shape,
    output: frame::Video,
}

/// `accurate_rnd` and `bitexact` keep the SIMD code to what the C code computes.
fn flags() -> Flags {
    Flags::BICUBIC | Flags::ACCURATE_RND | Flags::BITEXACT
}

impl Scaler {
    /// A scaler to this size and format.
    pub(super) fn new(format: Pixel, width: u32, height: u32) -> Self {
        Self {
            context: None,
            target: Shape {
                format,
                width,
                height,
            },
            output: frame::Video::empty(),
        }
    }

    /// The picture in the target's size; it is overwritten by the next call unless somebody
    /// refers to it still.
    pub(super) fn scale(&mut self, picture: &frame::Video) -> Result<&mut frame::Video, Error> {
        let shape = Shape {
            format: source_format(picture.format(), self.target.format),
            width: picture.width(),
            height: picture.height(),
        };
        let context = match &mut self.context {
            Some((made_for, context)) if *made_for == shape => context,
            stale => {
                let fresh = Context::new(shape, self.target)?;
                &mut stale.insert((shape, fresh)).1
            }
        };
        let Shape {
            format,
            width,
            height,
        } = self.target;
        if !is_writable(&self.output) {
            self.output = frame::Video::new(format, width, height);
        }
        context.scale(picture, &mut self.output)?;
        Ok(&mut self.output)
    }
}

/// The `J` formats are the same pixels and mean the full range of values. A rung keeps its
/// source's range; only the JPEG picture is always of full range.
fn source_format(format: Pixel, target: Pixel) -> Pixel {
    if target == Pixel::YUVJ420P {
        return format;
    }
    match format {
        Pixel::YUVJ420P => Pixel::YUV420P,
        Pixel::YUVJ422P => Pixel::YUV422P,
        Pixel::YUVJ444P => Pixel::YUV444P,
        Pixel::YUVJ440P => Pixel::YUV440P,
        other => other,
    }
}

/// Whether the frame has data that nobody else refers to.
fn is_writable(frame: &frame::Video) -> bool {
    // SAFETY: the frame is valid as long as its owner; FFmpeg only reads its reference counts,
    // and an empty frame is not writable.
    unsafe { ffi::av_frame_is_writable(frame.as_ptr().cast_mut()) > 0 }
}

/// An owned `SwsContext`.
struct Context(*mut ffi::SwsContext);

impl Context {
    fn new(from: Shape, to: Shape) -> Result<Self, Error> {
        // SAFETY: plain values and null pointers, which stand for defaults.
        let context = unsafe {
            ffi::sws_getContext(
                from.width as i32,
                from.height as i32,
                from.format.into(),
                to.width as i32,
                to.height as i32,
                to.format.into(),
                flags().bits(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        if context.is_null() {
            Err(Error::InvalidData)
        } else {
            Ok(Self(context))
        }
    }

    /// `from` and `to` have the shapes that the context was made for.
    fn scale(&mut self, from: &frame::Video, to: &mut frame::Video) -> Result<(), Error> {
        // SAFETY: the context is valid; both frames are of the sizes and formats it was made
        // for, so FFmpeg stays within their planes.
        let lines = unsafe {
            let (from, to) = (&*from.as_ptr(), &*to.as_mut_ptr());
            ffi::sws_scale(
                self.0,
                from.data.as_ptr().cast(),
                from.linesize.as_ptr(),
                0,
                from.height,
                to.data.as_ptr(),
                to.linesize.as_ptr(),
            )
        };
        if lines <= 0 {
            Err(Error::InvalidData)
        } else {
            Ok(())
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is owned and not used after.
        unsafe { ffi::sws_freeContext(self.0) }
    }
}
